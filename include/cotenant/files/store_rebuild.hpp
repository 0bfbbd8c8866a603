// manifest_of_files(): a store's manifest made from nothing but the files of tensors, each of which is read and proved.
#ifndef COTENANT_FILES_STORE_REBUILD_HPP
#define COTENANT_FILES_STORE_REBUILD_HPP
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "cotenant/files/file_record.hpp"
#include "cotenant/files/store_folder.hpp"
#include "cotenant/files/store_options.hpp"

namespace cotenant::detail {

// For who holds the lock. Fills in what is damaged. Errors: IoError. (Without exceptions the first damaged file ends the program.)
inline Manifest manifest_of_files(const StoreFolder& folder, RebuildResult& result) {
  Manifest next;
  std::map<std::string, std::uint64_t> newest;  // by tensor, damaged ones too: an older version must not take their place unnoticed
  for (const std::string& file : folder.data_files()) {
    FileRecord record;
#if COTENANT_EXCEPTIONS
    try {
      record = FileRecord::read(folder.path() / file);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_file && error.code() != ErrorCode::unsupported) throw;
      result.damaged_files.emplace(file, error.what());
      continue;
    }
#else
    record = FileRecord::read(folder.path() / file);
#endif
    next.generation = std::max(next.generation, record.generation);
    next.files.emplace(file, record.bytes);
    const auto is_newest = [&](const std::string& name) {
      const auto [known, is_new] = newest.emplace(name, record.generation);
      if (!is_new && known->second > record.generation) return false;
      known->second = record.generation;
      return true;
    };
    for (auto& [name, entry] : record.tensors)
      if (is_newest(name)) {
        next.tensors.insert_or_assign(name, std::move(entry));
        result.damaged_tensors.erase(name);
      }
    for (auto& [name, problem] : record.damaged)
      if (is_newest(name)) {
        next.tensors.erase(name);
        result.damaged_tensors.insert_or_assign(name, problem);
      }
  }
  next.drop_unused_files();
  ++next.generation;
  return next;
}

}  // namespace cotenant::detail

#endif
