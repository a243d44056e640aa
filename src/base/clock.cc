#include "base/clock.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <fstream>

namespace sc::base {
namespace {

std::tm to_utc(WallTime time) {
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return utc;
}

// Digits where the form has zeros, else the form's own characters.
bool has_form(std::string_view text, std::string_view form) {
  if (text.size() != form.size()) return false;
  for (std::size_t i = 0; i < form.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (form[i] == '0' ? !is_digit : text[i] != form[i]) return false;
  }
  return true;
}

int number(std::string_view text, std::size_t at, std::size_t digits) {
  int value = 0;
  for (const char c : text.substr(at, digits)) value = value * 10 + (c - '0');
  return value;
}

// Of a text that begins `0000-00-00T00:00:00`.
std::optional<WallTime> to_time(std::string_view text, std::chrono::milliseconds fraction) {
  const std::chrono::year_month_day day{
      std::chrono::year(number(text, 0, 4)),
      std::chrono::month(static_cast<unsigned>(number(text, 5, 2))),
      std::chrono::day(static_cast<unsigned>(number(text, 8, 2)))};
  const int hour = number(text, 11, 2);
  const int minute = number(text, 14, 2);
  const int second = number(text, 17, 2);
  if (!day.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return WallTime(std::chrono::sys_days(day)) + std::chrono::hours(hour) +
         std::chrono::minutes(minute) + std::chrono::seconds(second) + fraction;
}

// `Z`, `+01:00`, `-00:30`.
std::optional<std::chrono::minutes> parse_offset(std::string_view text) {
  if (text == "Z" || text == "z") return std::chrono::minutes{0};
  if (!has_form(text, "+00:00") && !has_form(text, "-00:00")) return std::nullopt;
  const int hours = number(text, 1, 2);
  const int minutes = number(text, 4, 2);
  if (hours > 23 || minutes > 59) return std::nullopt;
  const std::chrono::minutes size{hours * 60 + minutes};
  return text.front() == '-' ? -size : size;
}

}  // namespace

std::string SystemClock::boot_id() const {
  static const std::string id = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string read;
    std::getline(file, read);
    return read;
  }();
  return id;
}

std::string to_iso8601(WallTime time) {
  const std::tm utc = to_utc(time);
  const auto millis = (time - std::chrono::floor<std::chrono::seconds>(time)).count();
  const int year = utc.tm_year + 1900;
  if (year < 0 || year > 9999) {  // more digits, or a sign
    std::array<char, 64> text{};
    const int size = std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                                   year, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                                   utc.tm_sec, static_cast<int>(millis));
    return {text.data(), static_cast<std::size_t>(size)};
  }
  // An answer has several: by snprintf(3) they took a twentieth of a create.
  std::string text = "0000-00-00T00:00:00.000Z";
  const auto put = [&](std::size_t last, int value) {
    for (std::size_t at = last; value > 0; --at, value /= 10)
      text[at] = static_cast<char>('0' + value % 10);
  };
  put(3, year);
  put(6, utc.tm_mon + 1);
  put(9, utc.tm_mday);
  put(12, utc.tm_hour);
  put(15, utc.tm_min);
  put(18, utc.tm_sec);
  put(22, static_cast<int>(millis));
  return text;
}

std::optional<WallTime> parse_iso8601(std::string_view text) {
  static constexpr std::string_view kForm = "0000-00-00T00:00:00.000Z";
  if (!has_form(text, kForm)) return std::nullopt;
  return to_time(text, std::chrono::milliseconds(number(text, 20, 3)));
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  static constexpr std::string_view kForm = "0000-00-00T00:00:00";
  if (text.size() <= kForm.size()) return std::nullopt;
  std::string head(text.substr(0, kForm.size()));
  if (head[10] == 't') head[10] = 'T';
  if (!has_form(head, kForm)) return std::nullopt;
  text.remove_prefix(kForm.size());
  std::chrono::milliseconds fraction{0};
  if (text.front() == '.') {
    text.remove_prefix(1);
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0) return std::nullopt;
    std::string millis(text.substr(0, std::min<std::size_t>(digits, 3)));
    millis.resize(3, '0');
    fraction = std::chrono::milliseconds(number(millis, 0, 3));
    text.remove_prefix(digits);
  }
  const auto offset = parse_offset(text);
  const auto local = to_time(head, fraction);
  if (!offset || !local) return std::nullopt;
  const WallTime utc = *local - *offset;
  static constexpr std::chrono::sys_days kFirst{std::chrono::year(0) / 1 / 1};
  static constexpr std::chrono::sys_days kEnd{std::chrono::year(10000) / 1 / 1};
  if (utc < kFirst || utc >= kEnd) return std::nullopt;
  return utc;
}

std::string to_http_date(WallTime time) {
  // Not strftime: its names follow the locale, the header's do not.
  static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::tm utc = to_utc(time);
  std::array<char, 64> text{};
  const int size = std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                                 kDays.at(static_cast<std::size_t>(utc.tm_wday)), utc.tm_mday,
                                 kMonths.at(static_cast<std::size_t>(utc.tm_mon)),
                                 utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace sc::base
