"""RocksDB stores, their restore and their standbys."""
