"""The pages: templates, style sheet, ES modules and the libraries they carry along."""
