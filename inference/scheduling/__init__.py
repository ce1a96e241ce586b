"""What the scheduler is made of; `inference.scheduler` is its door.

admission   who is let in
jobs        pictures on their way
fairness    whose turn it is
batch       who shares the next step, and how large it is
ticks       one step of them, in the engines' thread
errands     other work of that thread, between two ticks
rates       what rate each caller can have
accounts    what is learned of costs and of who had what
observer    who is told what happens
failures    what callers and the log are told of an engine's errors

Only `ticks` and the work of `errands` run in the engines' thread; the rest belongs to the event loop.
"""
