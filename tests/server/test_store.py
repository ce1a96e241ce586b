"""Where jobs and images are kept, within bounds."""

from __future__ import annotations

from images import TINY

from server.generation.job import Job, Kind
from server.generation.picture import PictureOrder
from server.generation.store import MAX_JOBS, ImageShelf, MemoryJobStore
from server.streaming.frame import EncodedImage


def make_job(*, ended: bool = False) -> Job:
    job = Job(kind=Kind.ONCE, order=PictureOrder(prompt="a red fox"))
    if ended:
        job.cancel("cancelled")
    return job


def image(size_bytes: int) -> EncodedImage:
    return EncodedImage(b"x" * size_bytes, "jpeg", 8, 8)


def test_jobs_are_found_by_id_and_listed_newest_first() -> None:
    store = MemoryJobStore()
    jobs = [make_job() for _ in range(3)]
    for job in jobs:
        store.add(job)

    assert [store.get(job.id) for job in jobs] == jobs
    assert store.get("unknown") is None
    assert list(store.newest_first()) == jobs[::-1]


def test_the_oldest_ended_jobs_are_forgotten_beyond_the_limit() -> None:
    store = MemoryJobStore()
    jobs = [make_job(ended=True) for _ in range(MAX_JOBS + 5)]

    for job in jobs:
        store.add(job)

    assert len(store) == MAX_JOBS == 1000
    assert store.get(jobs[4].id) is None
    assert store.get(jobs[5].id) is jobs[5]


def test_jobs_that_have_not_ended_are_never_forgotten() -> None:
    store = MemoryJobStore(max_jobs=3)
    running = [make_job() for _ in range(5)]
    for job in running:
        store.add(job)
    ended = [make_job(ended=True) for _ in range(2)]
    for job in ended:
        store.add(job)

    assert all(store.get(job.id) is job for job in running)
    assert store.get(ended[0].id) is None

    for job in running:
        job.succeed()
    store.add(newest := make_job())
    assert list(store.newest_first()) == [newest, *running[:2:-1]]


def test_the_list_can_be_read_while_jobs_come() -> None:
    store = MemoryJobStore()
    store.add(first := make_job())

    listing = store.newest_first()
    store.add(make_job())

    assert list(listing) == [first]


def test_images_are_kept_under_a_new_id_or_a_given_one() -> None:
    shelf = ImageShelf()

    image_id = shelf.put(TINY)
    assert shelf.put(TINY, "mine") == "mine"

    assert shelf.get(image_id) is TINY
    assert shelf.get("mine") is TINY
    assert shelf.get("unknown") is None
    assert shelf.bytes == 2 * len(TINY.data)


def test_the_oldest_images_go_when_there_are_too_many_bytes() -> None:
    shelf = ImageShelf(max_bytes=100)
    ids = [shelf.put(image(40)) for _ in range(3)]

    assert [shelf.get(image_id) is not None for image_id in ids] == [False, True, True]
    assert shelf.bytes == 80

    shelf.put(image(100))
    assert shelf.bytes == 100


def test_the_oldest_images_go_when_there_are_too_many() -> None:
    shelf = ImageShelf(max_images=2)
    ids = [shelf.put(image(0)) for _ in range(3)]

    assert [shelf.get(image_id) is not None for image_id in ids] == [False, True, True]


def test_the_newest_image_is_kept_however_large_it_is() -> None:
    shelf = ImageShelf(max_bytes=100)
    shelf.put(image(10))

    image_id = shelf.put(image(1000))

    assert shelf.get(image_id) is not None
    assert shelf.bytes == 1000


def test_an_image_under_a_known_id_takes_the_place_of_the_older_one() -> None:
    shelf = ImageShelf(max_images=2)
    shelf.put(image(10), "a")
    shelf.put(image(10), "b")

    shelf.put(image(30), "a")
    shelf.put(image(5), "c")

    assert shelf.get("b") is None
    assert shelf.bytes == 35


def test_an_image_that_is_discarded_frees_its_bytes() -> None:
    shelf = ImageShelf()
    image_id = shelf.put(image(10))

    shelf.discard(image_id)
    shelf.discard(image_id)

    assert shelf.get(image_id) is None
    assert shelf.bytes == 0
