"""Parts of forms that several pages share."""
