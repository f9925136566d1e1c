"""The servers that are compared: each the way its documentation shows it, all with the same to do.

Every one listens on the port that it is given and answers `POST /start-task` and
`GET /task-progress/{task_id}`, which streams the same snapshots with an id each.
"""
