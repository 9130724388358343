//! Reference pages in Markdown, from the table.
