#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

// Commands that root runs act as the owner of the state folder. So the files that they make there
// belong to the service, and root follows no link that another user has put there.
namespace sc {

// Gives up root for good. Does nothing if another user runs it, or if the folder is missing or
// root's.
base::Result<void> become_owner_of(const std::string& folder);

// Acts as the owner until the object dies. One at a time, in a process of one thread.
class ActingAsOwner {
 public:
  explicit ActingAsOwner(const std::string& folder);
  ActingAsOwner(const ActingAsOwner&) = delete;
  ActingAsOwner& operator=(const ActingAsOwner&) = delete;
  ~ActingAsOwner();

 private:
  bool is_acting_ = false;
  gid_t former_group_ = 0;
  std::vector<gid_t> former_groups_;
};

}  // namespace sc
