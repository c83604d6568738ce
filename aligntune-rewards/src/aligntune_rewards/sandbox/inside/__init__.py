"""What runs beside the untrusted code, sent as text to a bare interpreter."""
