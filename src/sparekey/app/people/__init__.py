"""Users, administrators, their roles, and the security domains that own them."""
