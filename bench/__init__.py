"""The server beside DuckDB and Polars on the same data, in the same run: `cargo xtask bench`."""
