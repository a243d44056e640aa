#pragma once

#include <string>

// The file `stream-conductor.closed` in the database's folder: how its last process left it. A
// start after a clean end may trust the files without reading all of them. The mark is the identity
// of the database, its -wal and its -journal: inode, size and time of the last modification. Files
// that were replaced, restored or written to since do not match it. Not the time of the last
// change: SQLite sets the owner of a -wal, and with it that time, when root opens a database only
// to read it.
namespace sc::store {

// Names the database and the -wal at these paths, to see later whether they are still the same
// ones.
std::string name_files(const std::string& file);

// Names their content as well, as far as that shows from outside: by inode, size and time of the
// last modification.
std::string name_content(const std::string& file);

// Returns whether the files are as a clean end left them. Erases the mark, on disk before it
// returns, so that an end without leave_end_mark() counts as unclean. On a disk that cannot be
// written, the mark stays; there the files cannot change either.
bool take_end_mark(const std::string& file);

// After the connection that wrote is closed, if the files at the paths are still those that it had
// open. Without an effect on a full or read-only disk: then
// the next start reads the database once more.
void leave_end_mark(const std::string& file);

}  // namespace sc::store
