#pragma once

#include <string>

#include "base/result.h"
#include "config/command_line.h"

namespace sc::config {

// Of `token create`, as they were given; empty where they were not.
struct TokenArguments {
  std::string name;
  std::string role;
  std::string ports;
  std::string expires;
};

// Without a configuration. invalid: says which one is wrong and what is allowed.
base::Result<CreateToken> read_token_arguments(const TokenArguments& given);

}  // namespace sc::config
