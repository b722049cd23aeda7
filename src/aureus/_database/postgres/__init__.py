"""PostgreSQL through psycopg 3: pools, group commit in pipelines, row level security bound in each flush."""
