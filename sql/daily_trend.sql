-- Open, high, low, close and change by symbol and day (UTC) over the last seven days of event time.
--
-- dt prunes by the Kafka timestamp, from a day before the time that is asked for: clocks differ.
SELECT CAST(event_time AS date) AS day,
       symbol,
       round(min_by(coalesce(open, price), event_time), 2) AS open,
       round(max(coalesce(high, price)), 2) AS high,
       round(min(coalesce(low, price)), 2) AS low,
       round(max_by(coalesce(close, price), event_time), 2) AS close,
       round(max_by(coalesce(close, price), event_time) - min_by(coalesce(open, price), event_time), 2) AS change
FROM ticks
WHERE dt >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '8' day AS varchar), 1, 10)
  AND event_time > CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '7' day
  AND event_time <= CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)
GROUP BY CAST(event_time AS date), symbol
ORDER BY day DESC, symbol
