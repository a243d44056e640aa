#pragma once

#include "config/command_line.h"

// `stream-conductor database ...`. Each prints what it did and gives the exit code: 0, or 1 when it
// could not be done or `check` found something. None of them creates a folder; only `restore`
// makes a database, from the copy that it is given.
namespace sc {

int back_up_database(const config::BackUpDatabase& asked);
int restore_database(const config::RestoreDatabase& asked);
int check_database(const config::CheckDatabase& asked);

}  // namespace sc
