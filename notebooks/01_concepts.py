# Databricks notebook source
# MAGIC %md
# MAGIC # Exercise 1: Structured Streaming concepts
# MAGIC
# MAGIC You turn a folder of JSON files into a table that grows while you watch: a stream. The data are accelerometer samples
# MAGIC of nine people (`a` to `i`) who stand, sit, walk, ride a bike and take the stairs.
# MAGIC
# MAGIC Each part first explains, then runs. The functions come from the same package, `streaming_lab`, as the job's task
# MAGIC `concepts`: open `jobs/streaming_lab/concepts.py` of the project: it is short and in the same order.
# MAGIC
# MAGIC **Before you begin:** run the job's task `generate` once (`lab run concepts` does it), so that there are files, and
# MAGIC attach this notebook to the lab's cluster.

# COMMAND ----------

# MAGIC %md
# MAGIC ## 0. Where everything is
# MAGIC `root` is the lab's container (`lab status --json` prints it), `dataset` a folder in it. `databricks` reads the public
# MAGIC files that every real workspace has. Tables and checkpoints of this notebook go to a folder of their own, `notebook`,
# MAGIC so that you may break them without touching what the job made.

# COMMAND ----------

dbutils.widgets.text("root", "")
dbutils.widgets.text("dataset", "exercises")

from streaming_lab import concepts, files
from streaming_lab.arguments import storage_url
from streaming_lab.layout import Layout
from streaming_lab.session import session

spark = session()
layout = Layout(storage_url(dbutils.widgets.get("root")), dbutils.widgets.get("dataset"))
mine = f"{layout.home}/notebook/concepts"
print(f"input   {layout.input('activity')}")
print(f"output  {mine}")

# COMMAND ----------

# MAGIC %md
# MAGIC ## 1. Stream JSON files
# MAGIC Reading a stream looks like reading a table, with `readStream` in place of `read`. Two things differ:
# MAGIC
# MAGIC - **The schema is explicit.** For a table Spark can look at all files and guess. A stream's next file does not exist yet.
# MAGIC - **`maxFilesPerTrigger`** says how many new files one micro-batch takes. With 1, each of the 20 files is a batch.

# COMMAND ----------

from streaming_lab.schemas import ACTIVITY

print(ACTIVITY.simpleString())
activity = concepts.read_activity(spark, layout.input("activity"), files_per_batch=1)
activity.printSchema()

# COMMAND ----------

# MAGIC %md
# MAGIC ## 2. Transform
# MAGIC `Index` becomes `User_ID`, and `_corrupt_record` goes. Spark puts the text of a line that does not fit the schema into
# MAGIC `_corrupt_record`; if you only dropped the column, such a line would stay as a row of nulls, and nobody would know why.
# MAGIC So the frame is split: usable rows go on, the others go to a **quarantine** with the reason and their text.
# MAGIC
# MAGIC These are plain functions from a frame to a frame: they work on a table in the same way, which is how you try them out.

# COMMAND ----------

table = spark.read.schema(ACTIVITY).json(layout.input("activity"))
display(concepts.transform(table).limit(5))
display(concepts.quarantine(table).limit(5))

# COMMAND ----------

rows = concepts.transform(activity)
bad_rows = concepts.quarantine(activity)

# COMMAND ----------

# MAGIC %md
# MAGIC ## 3. A streaming frame is not a table
# MAGIC It has the same class and most of the same methods, but no end. What needs all rows, such as a sort, cannot be done.

# COMMAND ----------

print(f"isStreaming of the table: {table.isStreaming}, of the stream: {rows.isStreaming}")
print(concepts.sort_error(activity))

# COMMAND ----------

# MAGIC %md
# MAGIC ## 4. Write in micro-batches
# MAGIC A stream runs only when it is written somewhere. This query has
# MAGIC
# MAGIC - a **trigger**: every 3 seconds it looks for new files;
# MAGIC - a **checkpoint**: which files are done, on the same storage. Started again, the query goes on where it was, and each
# MAGIC   row is in the table once, even after a crash;
# MAGIC - a **name**, `stream_1p`, by which you find it in the Spark UI, in `lab streams` and below.

# COMMAND ----------

files.delete(mine)
stream_1p = concepts.write(rows, "stream_1p", f"{mine}/activity", f"{mine}/checkpoint", continuous=True)
stream_1p_quarantine = concepts.write(
    bad_rows, "stream_1p_quarantine", f"{mine}/quarantine", f"{mine}/checkpoint_quarantine", continuous=True
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## 5. Look at progress
# MAGIC `status` is now: what the query is doing. `lastProgress` is the batch that ended last, `recentProgress` up to 100 of them.
# MAGIC Right after the start there may be none yet: `lastProgress` is then `None`. Run this cell several times.

# COMMAND ----------

stream_1p.awaitTermination(5)
concepts.explain_progress(stream_1p)

# COMMAND ----------

# MAGIC %md
# MAGIC **Question.** `durationMs` of a batch has several parts. Which one is the longest, and what does it do?

# COMMAND ----------

# MAGIC %md
# MAGIC ## 6. Active streams: list, wait, stop, clean up
# MAGIC A query runs in the background; the notebook does not wait for it. `awaitTermination(5)` waits at most 5 seconds and
# MAGIC says whether the query has ended. Without a number it waits for ever: never do that in a notebook with a stream
# MAGIC that has no end.

# COMMAND ----------

concepts.explain_active_streams(spark, stream_1p)

# COMMAND ----------

# MAGIC %md
# MAGIC Stop one.

# COMMAND ----------

stream_1p_quarantine.stop()
print(concepts.active(spark))

# COMMAND ----------

# MAGIC %md
# MAGIC ## 7. Display the stream live
# MAGIC The table grows while `stream_1p` runs: run the next cell again and again. On Databricks, `display` also takes the
# MAGIC stream itself, and starts a query that shows it; press *Interrupt* or run the cell after it to end it.

# COMMAND ----------

stored = spark.read.format("delta").load(f"{mine}/activity")
display(stored.groupBy("gt").count().orderBy("gt"))

# COMMAND ----------

display(rows.groupBy("gt").count())

# COMMAND ----------

# MAGIC %md
# MAGIC Stop all, then clean up. A running stream keeps the cluster awake, and its cost.

# COMMAND ----------

for query in spark.streams.active:
    query.stop()
print(concepts.active(spark))

# COMMAND ----------

files.delete(mine)

# COMMAND ----------

# MAGIC %md
# MAGIC **Try it.** Stop `stream_1p` in the middle, start it again with the same checkpoint, and count the rows at the end.
# MAGIC Then do the same with the checkpoint deleted in between. What is different, and why?
