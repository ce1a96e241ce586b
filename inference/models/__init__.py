"""Which models there are, where their weights lie, and which of them are in memory.

    catalogue    what may be asked for, and where it comes from
    places       which folders a place of the catalogue may mean
    checks       whether files are whole
    parts        which parts a model is made of
    hub          where they are fetched from
    record       which files were fetched
    disk         the room that they may take
    downloads    fetching one part
    weights      all of that: found, checked, fetched
    rooms        the state of every model
    fetching     the line of downloads
    loading      into memory and out of it
    house        leases: what the rest of the service sees

Nothing here imports torch: a `Loader` does the loading.
"""
