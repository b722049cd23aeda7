-- why: times beyond the year 2255 that are stored to the microsecond
-- breaking: no
--
-- Times come inside JSON as microseconds since 1970. A number times an interval is reckoned with 53 bits: the last
-- microsecond of the year 9999 became the year 10000, which no reader can take. Hours and what is left over are exact.

CREATE FUNCTION aureus.from_micros(micros bigint) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT timestamptz 'epoch' + micros / 3600000000 * interval '1 hour'
        + micros % 3600000000 * interval '1 microsecond'
$$;
