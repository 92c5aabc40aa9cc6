"""What people see of signals: strips and maps in the terminal, tables in files."""
