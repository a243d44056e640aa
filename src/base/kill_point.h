#pragma once

// A place where a test can have the process killed, to see that what was done so far is enough.
// Built in with -Dkill_points=true alone (see meson_options.txt); else it is nothing.
//
// SC_KILL_AT=name:3 in the environment: SIGKILL when the place of that name is passed for the third
// time. Any thread.
#ifdef SC_KILL_POINTS
namespace sc::base {
void pass_kill_point(const char* name);
}
#define SC_KILL_POINT(name) ::sc::base::pass_kill_point(name)
#else
#define SC_KILL_POINT(name) static_cast<void>(0)
#endif
