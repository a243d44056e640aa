#include "net/resolver/resolv_conf.h"

#include <algorithm>

#include "base/text.h"

namespace sc::net {
namespace {

constexpr std::string_view kBlank = " \t\r";
constexpr std::size_t kMaxName = 253;  // RFC 1035 section 2.3.4, without the root's dot
// resolv.conf(5): RES_MAXNDOTS, RES_MAXRETRANS, RES_MAXRETRY.
constexpr unsigned kMaxDots = 15;
constexpr unsigned kMaxTimeout = 30;
constexpr unsigned kMaxAttempts = 5;

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t start = line.find_first_not_of(kBlank);
    if (start == std::string_view::npos) return words;
    line.remove_prefix(start);
    const std::size_t end = std::min(line.find_first_of(kBlank), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

// `name:number`, capped at `most`. nullopt: it is another option.
std::optional<unsigned> number_of(std::string_view option, std::string_view name, unsigned most) {
  if (!option.starts_with(name)) return std::nullopt;
  const auto value = base::parse_unsigned(option.substr(name.size()), 0, UINT32_MAX);
  if (!value) return std::nullopt;
  return std::min(static_cast<unsigned>(*value), most);
}

void apply_option(std::string_view option, ResolvConf& conf) {
  if (const auto dots = number_of(option, "ndots:", kMaxDots)) conf.ndots = *dots;
  if (const auto seconds = number_of(option, "timeout:", kMaxTimeout))
    conf.timeout = std::chrono::seconds(std::max(*seconds, 1U));
  if (const auto attempts = number_of(option, "attempts:", kMaxAttempts))
    conf.attempts = std::max(*attempts, 1U);
  if (option == "rotate") conf.rotate = true;
  if (option == "use-vc") conf.use_vc = true;
  if (option == "edns0") conf.edns0 = true;
  if (option == "no-aaaa") conf.no_aaaa = true;
}

void set_search(const std::vector<std::string_view>& words, std::size_t first, ResolvConf& conf) {
  conf.search.clear();
  for (std::size_t i = first; i < words.size() && conf.search.size() < ResolvConf::kMostDomains;
       ++i) {
    std::string_view domain = words[i];
    if (!domain.empty() && domain.back() == '.') domain.remove_suffix(1);
    conf.search.push_back(base::to_lower(domain));
  }
}

}  // namespace

ResolvConf parse_resolv_conf(std::string_view text, const ResolvEnvironment& environment) {
  ResolvConf conf;
  const std::size_t dot = environment.host_name.find('.');
  if (dot != std::string::npos && dot + 1 < environment.host_name.size())
    conf.search.push_back(base::to_lower(environment.host_name.substr(dot + 1)));
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find_first_of("#;"));
    const auto words = words_of(line);
    if (words.size() < 2) continue;
    if (words[0] == "nameserver" && conf.servers.size() < ResolvConf::kMostServers) {
      if (auto server = Address::parse_ip(words[1], environment.port))
        conf.servers.push_back(*server);
    } else if (words[0] == "search") {
      set_search(words, 1, conf);
    } else if (words[0] == "domain") {
      set_search({words[0], words[1]}, 1, conf);
    } else if (words[0] == "options") {
      for (std::size_t i = 1; i < words.size(); ++i) apply_option(words[i], conf);
    }
  }
  if (!environment.local_domain.empty()) set_search(words_of(environment.local_domain), 0, conf);
  for (const std::string_view option : words_of(environment.options)) apply_option(option, conf);
  if (conf.servers.empty())
    conf.servers.push_back(*Address::parse_ip("127.0.0.1", environment.port));
  return conf;
}

std::vector<std::string> search_candidates(const ResolvConf& conf, std::string_view name) {
  if (!name.empty() && name.back() == '.') return {std::string(name.substr(0, name.size() - 1))};
  std::vector<std::string> out;
  const auto dots = static_cast<std::size_t>(std::count(name.begin(), name.end(), '.'));
  const bool is_first = dots >= conf.ndots;
  if (is_first) out.emplace_back(name);
  for (const std::string& domain : conf.search) {
    if (domain.empty()) continue;  // `search .`: the name as it is, which is asked anyway
    std::string candidate = std::string(name) + "." + domain;
    if (candidate.size() <= kMaxName) out.push_back(std::move(candidate));
  }
  if (!is_first) out.emplace_back(name);
  return out;
}

}  // namespace sc::net
