"""What is installed, and what may be installed, deleted and used: decisions without a file, and the files."""
