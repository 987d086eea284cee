"""Commands for emergency codes, approvals and operators."""
