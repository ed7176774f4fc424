-- Ticks by symbol over the last 24 hours of event time (UTC): those of curated hours, and raw ones of all other hours.
--
-- bars_1m has a partition for each curated hour, and reading its dt and hr takes almost no bytes. The raw
-- ticks of these hours are left out, so no tick counts twice. In the seconds in which an hour is curated for
-- the first time, the query may miss the hour: ask again.
-- dt and hr prune by the Kafka timestamp, from an hour before the time that is asked for: clocks differ.
WITH curated AS (
  SELECT DISTINCT dt, hr
  FROM bars_1m
  WHERE dt >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '25' hour AS varchar), 1, 10)
    AND dt || ' ' || hr >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '25' hour AS varchar), 1, 13)
),
raw AS (
  SELECT dt, hr
  FROM (
    VALUES (substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '25' hour AS varchar), 1, 10)),
           (substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '24' hour AS varchar), 1, 10)),
           (substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) AS varchar), 1, 10)),
           (substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) + interval '1' hour AS varchar), 1, 10)),
           ('unknown')
  ) AS days (dt)
  CROSS JOIN (
    VALUES ('00'), ('01'), ('02'), ('03'), ('04'), ('05'), ('06'), ('07'), ('08'), ('09'), ('10'), ('11'), ('12'),
           ('13'), ('14'), ('15'), ('16'), ('17'), ('18'), ('19'), ('20'), ('21'), ('22'), ('23'), ('all'), ('unknown')
  ) AS hours (hr)
  WHERE dt || ' ' || hr >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '25' hour AS varchar), 1, 13)
    AND (dt || ' ' || hr <= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) + interval '1' hour AS varchar), 1, 13) OR hr IN ('all', 'unknown'))
  EXCEPT
  SELECT dt, hr
  FROM curated
),
all_ticks AS (
  SELECT dt, symbol, event_time, 1 AS is_curated
  FROM curated_ticks
  JOIN curated USING (dt, hr)
  UNION ALL
  SELECT dt, symbol, event_time, 0 AS is_curated
  FROM ticks
  JOIN raw USING (dt, hr)
)
SELECT symbol,
       count(*) AS ticks,
       sum(is_curated) AS of_curated_hours,
       min(event_time) AS first_tick,
       max(event_time) AS last_tick
FROM all_ticks
WHERE dt >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '25' hour AS varchar), 1, 10)
  AND event_time > CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '24' hour
  AND event_time <= CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)
GROUP BY symbol
ORDER BY symbol
