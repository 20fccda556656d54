"""The executor `lxd`: the daemon, its containers and the programs in them."""
