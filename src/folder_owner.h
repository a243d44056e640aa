#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

// Commands that root runs act as the owner of the state folder: what they make there belongs to the
// service, and no link that another user of the folder has put there leads root elsewhere.
namespace sc {

// For good. Does nothing unless root runs it, and for a folder that is missing or root's.
base::Result<void> become_owner_of(const std::string& folder);

// The same until the object dies; one at a time, in a process of one thread.
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
