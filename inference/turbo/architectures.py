"""The networks that are built without weights: tiny twins of SDXL and SD, and SDXL at its full size.

A tiny one has whatever the real one's shape is known by: the number of text encoders, factor 8, four
latent channels, a pooled embedding with time ids. Knows no values: `random_weights` fills them.

Source:
    Full size: `sd_xl_base.yaml` and SDXL-Turbo's published configs; counted, the UNet has 2.5675
    billion parameters, the AutoencoderKL 83.65 million, the text encoders 123.06 and 694.66 million.
"""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from .components import NetworkFamily
from .tiny_tokenizer import TEXT_TOKENS


def tiny_unet(family: NetworkFamily) -> Any:
    """Build a UNet of a family's shape for 64 pixels a side, 1 million parameters."""
    sizes: dict[str, Any] = {
        "sample_size": 8,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": (2, 4),
        "norm_num_groups": 8,
        "cross_attention_dim": 32,
    }
    if family == "sdxl":
        # The pooled embedding's 32 and six time ids of 8 each.
        sizes |= {
            "transformer_layers_per_block": (1, 2),
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 32 + 6 * 8,
            "cross_attention_dim": 64,
        }
    return UNet2DConditionModel(**sizes).eval()


def tiny_kl(scale: int = 8) -> Any:
    """Build an AutoencoderKL that makes `scale` pixels a side of a latent, 4 or 8."""
    channels = (8, 8, 16, 16) if scale == 8 else (8, 16, 16)
    return AutoencoderKL(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
        # SDXL's, and that of the upscaler of Stable Diffusion.
        scaling_factor=0.13025 if scale == 8 else 0.08333,
        force_upcast=True,
    ).eval()


def tiny_taesd() -> Any:
    """Build an AutoencoderTiny, eight channels wide."""
    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    ).eval()


def tiny_text_encoders(family: NetworkFamily, end: int, vocabulary: int) -> tuple[Any, ...]:
    """Build a family's text encoders.

    Args:
        family: Whose.
        end: The tokenizer's id of the end mark. With the 2 of the published configs CLIP would pool at the
            highest id instead, whatever that is.
        vocabulary: How many tokens the tokenizer knows.
    """
    sizes: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "projection_dim": 32,
        "max_position_embeddings": TEXT_TOKENS,
        "bos_token_id": end - 1,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    first = CLIPTextModel(CLIPTextConfig(**sizes, hidden_act="quick_gelu")).eval()
    if family == "sd":
        return (first,)
    return first, CLIPTextModelWithProjection(CLIPTextConfig(**sizes, hidden_act="gelu")).eval()


def tiny_upscaling_unet(factor: int) -> Any:
    """Build what one of diffusers' upscalers takes: the picture as channels beside the latents."""
    sizes: dict[str, Any] = {
        "sample_size": 16,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "attention_head_dim": (2, 4),
        "norm_num_groups": 8,
        "cross_attention_dim": 32,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "out_channels": 4,
    }
    if factor == 4:
        # Latents and the colours of the picture; the noise that it was given is told as a class.
        return UNet2DConditionModel(**sizes, in_channels=7, num_class_embeds=1000).eval()
    # Latents, those of the picture, and one channel of the variance that this pipeline leaves away; the
    # noise and the pooled text come as one condition of the time.
    return UNet2DConditionModel(
        **sizes | {"out_channels": 5},
        in_channels=8,
        time_embedding_type="fourier",
        time_cond_proj_dim=128 + 32,
    ).eval()


def full_unet() -> Any:
    """Build SDXL-Turbo's UNet."""
    return UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(320, 640, 1280),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    ).eval()


def full_kl() -> Any:
    """Build SDXL's AutoencoderKL."""
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=1024,
        scaling_factor=0.13025,
        force_upcast=False,
    ).eval()


def full_text_encoders() -> tuple[Any, ...]:
    """Build SDXL's CLIP-L and CLIP-bigG."""
    shared: dict[str, Any] = {"vocab_size": 49408, "max_position_embeddings": TEXT_TOKENS, "eos_token_id": 2}
    first = CLIPTextConfig(
        **shared,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        projection_dim=768,
        hidden_act="quick_gelu",
    )
    second = CLIPTextConfig(
        **shared,
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=20,
        projection_dim=1280,
        hidden_act="gelu",
    )
    return CLIPTextModel(first).eval(), CLIPTextModelWithProjection(second).eval()
