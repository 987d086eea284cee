"""Pages of emergency codes: the procedure of the help desk."""
