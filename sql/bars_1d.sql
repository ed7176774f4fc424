-- Bars of a day by symbol over the last seven days of event time (UTC), from the curated hours.
--
-- Two rows of bars_1m can be of the same minute: open is that of the first tick, close that of the last.
-- dt prunes by the Kafka timestamp, from a day before the time that is asked for: clocks differ.
SELECT CAST(minute AS date) AS day,
       symbol,
       min_by(open, ROW(first_time, first_partition, first_offset)) AS open,
       max(high) AS high,
       min(low) AS low,
       max_by(close, ROW(last_time, last_partition, last_offset)) AS close,
       sum(volume) AS volume,
       sum(turnover) AS turnover,
       sum(turnover) / nullif(sum(volume), 0) AS vwap,
       sum(ticks) AS ticks
FROM bars_1m
WHERE dt >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '8' day AS varchar), 1, 10)
  AND minute >= date_trunc('day', CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '6' day)
  AND minute <= CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)
GROUP BY CAST(minute AS date), symbol
ORDER BY day DESC, symbol
