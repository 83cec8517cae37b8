"""Parts that several pages share; every piece of HTML is built and escaped here."""
