//! Compares every index and blob with the catalog, and mends what differs.
