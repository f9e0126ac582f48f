"""What is stored of a batch: representations, failures, related objects, values to search."""
