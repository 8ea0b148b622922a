"""Own a compiler cache that machines share: its address, what ccache and sccache need to use it, what it is worth."""
