"""Pages: each reads the address, asks for rows and lays out components."""
