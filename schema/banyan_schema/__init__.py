"""What people can say: the collections, their cells, their content. Start reading at collection.py."""
