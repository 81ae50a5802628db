"""dotai_nb."""
