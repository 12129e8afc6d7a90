"""What all pages share: links, forms, languages, templates and records."""
