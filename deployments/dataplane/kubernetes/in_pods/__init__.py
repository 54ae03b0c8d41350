"""Files that are copied into pods as they stand: only the standard library and what every Airflow image has. Nothing of
the console imports them."""
