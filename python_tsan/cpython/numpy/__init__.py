"""Put numpy into an interpreter: a locked wheel (:mod:`.wheel`), or built from source (:mod:`.from_source`)."""
