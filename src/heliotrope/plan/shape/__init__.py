"""How wide, how hot and where next: work that may change its width, its power or its site as it goes."""
