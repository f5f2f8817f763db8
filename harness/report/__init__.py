"""From frame tables to what people read: tables, plots and the HTML page."""
