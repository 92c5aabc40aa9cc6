"""The dashboard and the pages people like to look at; owns no rule."""
