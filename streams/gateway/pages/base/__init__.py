"""The common parts of all pages: links, forms, languages, templates and records."""
