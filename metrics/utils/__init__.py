"""What all packages share: errors, atomic files, checking of tables, plug-ins."""
