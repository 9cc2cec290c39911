-- Targets of the links that stand in a chunk where its text does not show them (web pages): a JSON array of addresses as
-- the document has them, NULL where there are none.
ALTER TABLE chunks ADD COLUMN links TEXT;
