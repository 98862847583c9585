/** The import cannot begin: the map, the file or an option is wrong. Nothing has been written. */
export class ImportFault extends Error {
  override name = 'ImportFault'
}
