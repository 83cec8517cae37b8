"""Running methods: jobs, their identities, the cache, and the processes that execute them."""
