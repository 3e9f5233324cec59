"""Reading: capture files and their damage."""
