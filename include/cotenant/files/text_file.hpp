// read_text_file: a whole small file as a string.
#ifndef COTENANT_FILES_TEXT_FILE_HPP
#define COTENANT_FILES_TEXT_FILE_HPP
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "cotenant/share/block.hpp"
#include "cotenant/storage/mapped.hpp"

namespace cotenant {

// Errors: NotFound, IoError.
inline std::string read_text_file(const std::filesystem::path& path) {
  const BlockRef file = Block::adopt(Mapped{}, Mapped::map(path));
  return file->bytes() == 0 ? std::string() : std::string(static_cast<const char*>(file->data()), file->bytes());
}

// Nothing where there is no such file. Errors: IoError.
inline std::optional<std::string> read_text_file_if_there(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return read_text_file(path);
}

}  // namespace cotenant

#endif
