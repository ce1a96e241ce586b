"""The words that the painter knows, English and Russian, as stems.

Data only; `words` reads it. A stem stands for itself and its usual endings, so "mountain" also
takes "mountains" and "mountainous", "гор" takes "гора" and "горы".
"""

from __future__ import annotations


PLACES: dict[str, str] = {
    "sea": "sea ocean wave beach coast shore harbor harbour seascape sail surf bay lagoon island cliff "
    "lighthouse ship boat | мор океан волн пляж берег залив остров маяк корабл лодк парус порт",
    "mountain": "mountain peak alp hill valley ridge summit canyon volcano glacier lake fjord cabin castle "
    "highland | гор пик холм долин хребет вершин каньон вулкан ледник озер фьорд хижин домик зам[о]?к альп",
    "forest": "forest wood woodland jungle tree pine grove birch fir fox deer wolf bear owl mushroom "
    "rainforest taig | лес рощ джунгл дерев сосн ёлк елк берез берёз лис лисиц олен волк медвед сов тайг дуб",
    "city": "city cities town street skyline skyscraper building downtown metropolis urban tokyo york paris "
    "london moscow cyberpunk rooftop village | город улиц небоскреб небоскрёб здани мегаполис токио москв "
    "париж лондон киберпанк крыш",
    "space": "space galaxy galaxies nebula cosmo universe planet cosmic astronaut saturn jupiter mars orbit "
    "comet asteroid milky interstellar | космос космич галактик туманност вселенн планет сатурн юпитер "
    "марс орбит комет астероид космонавт",
    "flowers": "flower meadow garden blossom bloom tulip poppy poppies rose lavender sunflower daisy daisies "
    "lily lilies orchid peony peonies sakura petal bouquet wildflower grass field spring prairie | цвет "
    "цветок цветк луг сад тюльпан мак роз лаванд подсолнух ромашк лили орхиде пион сакур лепест букет пол "
    "трав",
    "desert": "desert dune sahara oasis sand camel | пустын дюн сахар оазис песок песк верблюд бархан",
}
"""What places are called; the first one named in a prompt is painted, others lend it features."""

SKY: dict[str, str] = {
    "sky": "sky skies heaven night nightfall midnight star starry starlit starlight moon moonlight moonlit "
    "aurora borealis northernlights cloud cloudy sunset sunrise dawn dusk twilight | неб небес небесн ночь "
    "ноч ночн полночь звезд звёзд звездн звёздн лун лунн сияни аврор облак облач облачн туч закат закатн "
    "восход рассвет сумерк сумереч",
}
"""What names the place "sky". It is painted only where no other place is named: over all those, there
is a sky anyway."""

HOMES: dict[str, str] = {
    "cabin": "mountain",
    "deer": "forest",
    "cactus": "desert",
    "palms": "sea",
    "ring": "space",
    "birds": "sky",
    "sun": "sky",
}
"""Where a thing is shown if a prompt names the thing but no place."""

LIGHT: dict[str, str] = {
    "dawn": "dawn sunrise morning daybreak | рассвет утр восход",
    "day": "day daylight noon midday sunny bright summer | день дня днем днём полдень солнечн ярк лет",
    "sunset": "sunset evening | закат вечер",
    "dusk": "dusk twilight bluehour gloaming | сумерк сумереч",
    "night": "night midnight moon moonlight moonlit nocturn star starry starlight dark | ночь ноч ночн "
    "полночь лун лунн звезд звёзд звездн звёздн темн тёмн",
    "golden": "goldenhour autumn fall | золот[о]?йчас осен",
    "neon": "neon cyberpunk synthwave vaporwave cyber | неон неонов киберпанк",
    "aurora": "aurora borealis northernlights | сияни аврор полярн",
}
"""What the light of a scene is called."""

WEATHER: dict[str, str] = {
    "snow": "snow snowfall snowy snowing blizzard winter frost frozen icy | снег снеж снежн метел зим мороз "
    "вьюг зимн",
    "rain": "rain rainy drizzle shower downpour | дожд дождл ливен ливн",
    "fog": "fog foggy mist misty haze hazy | туман дымк мгл",
    "storm": "storm stormy thunder thunderstorm lightning tempest hurricane | шторм гроз бур молни ураган",
    "clouds": "cloud cloudy overcast | облак облач туч пасмурн",
    "clear": "clear cloudless | ясн безоблачн",
    "stars": "star starry starlight | звезд звёзд звездн звёздн",
    "aurora": "aurora borealis northernlights | сияни аврор полярн",
    "fireflies": "firefly fireflies magic fairy sparks | светлячк светляк магич волшебн искр",
}
"""What fills the air."""

SUBJECTS: dict[str, str] = {
    "moon": "moon moonlight moonlit | лун лунн месяц",
    "sun": "sun sunny sunshine | солнц солнечн",
    "boat": "boat ship sail sailboat yacht | лодк корабл парус яхт",
    "lighthouse": "lighthouse | маяк",
    "cabin": "cabin cottage house hut | хижин дом домик изб",
    "fox": "fox | лис лисиц лисичк",
    "deer": "deer stag | олен",
    "birds": "bird gull seagull raven crow swallow | птиц чайк ворон ласточк",
    "trees": "tree pine fir wood forest | дерев сосн ёлк елк лес",
    "lake": "lake river pond reflection fjord bay | озер рек пруд отражени фьорд",
    "mountains": "mountain peak hill alp ridge | гор пик холм хребет",
    "city": "city cities skyline town | город",
    "flowers": "flower blossom tulip poppy poppies rose | цвет тюльпан мак роз",
    "planet": "planet saturn jupiter mars world | планет сатурн юпитер марс",
    "ring": "saturn ring ringed | сатурн кольц",
    "palms": "palm tropic tropical oasis | пальм тропик тропич оазис",
    "birches": "birch birches | берез берёз",
    "cactus": "cactus cacti | кактус",
}
"""What stands in a scene."""

FIGURES: dict[str, str] = {
    "moon": "moon | лун месяц",
    "sun": "sun | солнц",
    "boat": "boat ship sail sailboat yacht | лодк корабл парус парусник яхт",
    "lighthouse": "lighthouse | маяк",
    "cabin": "cabin cottage house hut | хижин дом домик изб избушк",
    "fox": "fox | лис лисиц лисичк",
    "deer": "deer stag | олен",
    "birds": "bird gull seagull raven crow swallow | птиц птичк чайк ворон ласточк",
    "trees": "tree pine fir birch | дерев сосн ёлк елк берез берёз",
    "flowers": "flower blossom tulip poppy poppies rose daisy daisies lily lilies orchid peony peonies "
    "petal | цвет цветок цветк тюльпан мак роз ромашк лили орхиде пион лепест",
    "palms": "palm | пальм",
    "cactus": "cactus cacti | кактус",
    "other": "wolf wolves bear owl mushroom castle camel | волк медвед сов гриб зам[о]?к верблюд",
}
"""Single things. A colour word before one of them is the thing's own and leaves the scene alone; the
names are those of `SUBJECTS`, with "other" for what has no figure of its own."""

COLOURS: dict[str, str] = {
    "red": "red scarlet ruby | красн алый рубин",
    "crimson": "crimson burgundy blood maroon | багров бордов кров малинов",
    "orange": "orange tangerine copper fire fiery flame lava | оранжев рыж огн огонь пламя лав",
    "amber": "amber honey | янтар янтарн мед мёд",
    "gold": "gold golden | золот золотист",
    "yellow": "yellow lemon | желт жёлт лимонн",
    "lime": "lime chartreuse | салатов лайм",
    "green": "green verdant | зелен зелён",
    "emerald": "emerald jade | изумруд изумрудн нефрит",
    "mint": "mint | мятн",
    "teal": "teal | морскойволн",
    "turquoise": "turquoise aquamarine aqua | бирюз бирюзов",
    "cyan": "cyan | циан",
    "azure": "azure | голуб лазур лазурн",
    "blue": "blue sapphire cobalt ultramarine | син сапфир",
    "navy": "navy | темносин",
    "indigo": "indigo | индиго",
    "violet": "violet | фиолетов",
    "purple": "purple plum amethyst | пурпур пурпурн сливов аметист",
    "lavender": "lavender lilac | лаванд лавандов сиренев лилов",
    "magenta": "magenta fuchsia | маджент фукси",
    "pink": "pink sakura | розов сакур",
    "rose": "rose | роз",
    "peach": "peach apricot | персик персиков абрикос",
    "coral": "coral salmon | коралл коралов кораллов",
    "brown": "brown sepia chocolate bronze | коричнев шоколад бронз",
    "beige": "beige cream ivory | бежев кремов",
    "white": "white ivory | бел",
    "silver": "silver silvery | серебр серебрян серебрист",
    "grey": "grey gray | сер",
    "black": "black ebony | черн чёрн",
}
"""What colours are called; `palettes.NAMED` says what they are."""

PHRASES: dict[str, str] = {
    "northern lights": "northernlights",
    "blue hour": "bluehour",
    "golden hour": "goldenhour",
    "cherry blossom": "sakura",
    "milky way": "galaxy",
    "outer space": "space",
    "sky blue": "azure",
    "sky-blue": "azure",
    "северное сияние": "сияние",
    "млечный путь": "галактика",
    "морской волны": "морскойволны",
}
"""Two words that mean another thing than each of them."""

DENIALS = frozenset({"no", "without", "not", "never", "без", "нет", "не"})
"""A word after one of these belongs to what is to be avoided."""

JOINTS = frozenset({"and", "or", "и", "или"})
"""What may stand between two colours of one thing ("a red and white boat")."""

_SMALL_WORDS = (
    "a an the of in on at by with and or to from over under above below into through its is are as for "
    "very beautiful painting picture image photo style "
    "и в на с над под за из у по о от до для как"
)
IGNORED = frozenset(_SMALL_WORDS.split())
"""Words that steer nothing."""
